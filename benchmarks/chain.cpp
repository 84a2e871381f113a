// The eight stages of chain.isp in one loop, as one would write or generate it for one camera and one set of settings.
// `benchmarks/chain.py` puts the numbers of the settings and of the polynomials before this text.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

template <int N>
static inline float polynomial(const float (&coefficients)[N], float x) {
  float total = coefficients[N - 1];
  for (int at = N - 2; at >= 0; --at) total = total * x + coefficients[at];
  return total;
}

static inline float log2_of(float x) {
  const int32_t bits = std::bit_cast<int32_t>(x), exponent = (bits - 0x3F3504F3) >> 23;
  const float fraction = std::bit_cast<float>(bits - (exponent << 23)) - 1.0f;
  return float(exponent) + fraction * polynomial(LOG2, fraction);
}

static inline float exp2_of(float x) {
  const float whole = std::floor(x + 0.5f);
  return polynomial(EXP2, x - whole) * std::bit_cast<float>((int32_t(whole) + 127) << 23);
}

static inline float curve(float x) {
  const float exposed = x * HABLE_GAIN, rising = std::max(exposed, 0.0f);
  x = exposed * (rising * HABLE_A + HABLE_B) / (rising * (rising * HABLE_C + HABLE_D) + HABLE_E);
  const float positive = std::max(x, 1e-10f);
  const float stops = log2_of(positive * (1.0f / PIVOT));
  const float width = stops < 0.0f ? BELOW : ABOVE;
  const float bend = stops * exp2_of(std::max(stops * stops * width, -126.0f));
  x *= x > 1e-10f ? exp2_of(CONTRAST * bend) : 1.0f;
  x *= exp2_of(GAMMA * log2_of(x * x + 1e-8f));
  x = std::min(std::max(x, 0.0f), 1.0f);
  const float power = 1.055f * exp2_of(log2_of(std::max(x, 0.0031308f)) * (1.0f / 2.4f)) - 0.055f;
  return x <= 0.0031308f ? 12.92f * x : power;
}

static void part(const float* __restrict given, float* __restrict found, int64_t pixels, int64_t from, int64_t to) {
  // Planes side by side: three curves that do not wait for each other.
  for (int64_t at = from; at < to; ++at) {
    const float red = given[at], green = given[pixels + at], blue = given[2 * pixels + at];
    const auto mixed = [&](int plane) {
      return MATRIX[plane][0] * red + MATRIX[plane][1] * green + MATRIX[plane][2] * blue;
    };
    found[at] = curve(mixed(0));
    found[pixels + at] = curve(mixed(1));
    found[2 * pixels + at] = curve(mixed(2));
  }
}

extern "C" void chain(const float* given, float* found, int64_t pixels, int threads) {
  std::vector<std::thread> others;
  for (int each = 1; each < threads; ++each)
    others.emplace_back(part, given, found, pixels, pixels * each / threads, pixels * (each + 1) / threads);
  part(given, found, pixels, 0, pixels / threads);
  for (auto& other : others) other.join();
}
