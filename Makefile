# Every target works in a fresh clone: it first makes .venv and installs ispdsl there.
#   make demo      render a photograph with its taps into OUT
#   make test      the tests        make lint    style and types
#   make test-slow   what `make test` leaves out: longer tests, repetitions on more raws and settings, the export of every stage
#   make programs  the programs behind the real pipelines (darktable, RawTherapee, ImageMagick, GEGL, ffmpeg), by apt as root
#   make bench     the benchmarks   make clean   remove what these made
#   make bench-speed   megapixels a second against size, 0.25 to 100 MP, beside LibRaw, OpenCV and others; of RAW, or a synthetic one
#                            (an hour; THREADS=2); writes benchmarks/speed
#   make reproduce-neutral   measure neutral renderings against LibRaw's, of the raws under DATA; writes docs/reproduce
#   make reproduce-approximation   double photo finishing, darktable, LibRaw, a register processor and two hard stages from
#                            the raws under DATA, and say how far off the doubles are (hours; TARGETS=... for some of them)
#   make reproduce-regression   find the settings behind pictures of the raws under DATA, against real calls, beside
#                            CMA-ES, TPE and Bayesian optimisation (hours; CASES=... for some of it)
#   make reproduce-functions searchers on noisy functions of 20 numbers (hours on one core; SEARCHERS=... for some of them,
#                            JOBS=2 for two runs at once); runs that docs/reproduce has are not made again
#   make reproduce-registers   the 32 registers behind pictures of the simulated processor, against CMA-ES, of the raws under
#                            DATA; writes docs/reproduce
#   make reproduce-denoiser   tune a denoiser's numbers and names for noisy photographs, against CMA-ES, of the raws under
#                            DATA; needs ffmpeg (half an hour on one core); writes docs/reproduce
#   make reproduce-local-laplacian   recover a tone mapping's settings from pictures of the raws under DATA
#   make reproduce-camera-jpeg   find the sliders behind cameras' own JPEGs that lie with their raws under DATA
#   make reproduce-tasks     tune a pipeline for a classifier and for a detector that look at dark raws, with the pictures
#                            and weights under DATA (half an hour; CASES=... for some of it)
#   make reproduce-prediction   settings for each picture by a network, against one setting for all, with the pictures and
#                            weights under DATA (an hour on two cores; CASES=... for some of it, DEVICE=cuda on a GPU)
#   make reproduce-joint     train a pipeline's settings and a classifier together on dark photographs and raws, of the pictures
#                            under DATA (TABLES=... for some of it, DEVICE=cuda, JOBS=2; GUIDE=... and GUIDE_PYTHON=... for the guide that
#                            it is after, beside ours); writes docs/reproduce
#   make reproduce-distillation   teach classifiers of raws by those of pictures, with the pictures and weights under DATA
#                            (CASES=... for some of it, DEVICE=cuda, JOBS=2); writes docs/reproduce
#   make reproduce-style     finish raws in the style of other pictures, of the photographs and raws under DATA, and say how
#                            near they come (an hour on one core; JOBS=2 for two seeds at once, DEVICE=cuda)
#   make reproduce-attack    change raws so that a classifier fails under some settings and not under others, by programs and
#                            by LibRaw, with the pictures and weights under DATA (CASES=... for some of it, DEVICE=cuda)
#   make reproduce-frontend  train networks that demosaic and denoise through photo finishing, of the photographs under DATA
#                            (45 minutes on two cores, DEVICE=cuda for larger ones)
#   make reproduce-faults    plant faults in the standard library and see which its contracts catch; writes docs/reproduce
# PYTHON names the interpreter to build .venv with, OUT the demo's folder, PYTEST what to give pytest besides.

OUT    ?= out/demo
PYTEST ?= -n 2 -q
PROGRAMS := darktable rawtherapee imagemagick gegl ffmpeg
BIN    := .venv/bin
STAMP  := .venv/installed

# More threads than cores make torch several times slower: one for each of pytest's workers.
test test-slow bench reproduce-faults reproduce-functions reproduce-registers reproduce-denoiser reproduce-tasks reproduce-joint \
  reproduce-distillation reproduce-prediction reproduce-style reproduce-attack reproduce-frontend: \
  export OMP_NUM_THREADS = 1
# Without bytecode every process that tests start compiles all modules anew, and pytest takes 20 seconds more to begin.
test test-slow: export PYTHONDONTWRITEBYTECODE =
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-slow lint programs bench bench-speed install clean
.PHONY: reproduce-neutral reproduce-approximation reproduce-regression reproduce-functions reproduce-registers
.PHONY: reproduce-denoiser reproduce-local-laplacian reproduce-camera-jpeg reproduce-tasks reproduce-faults
.PHONY: reproduce-joint reproduce-distillation reproduce-prediction reproduce-style reproduce-attack reproduce-frontend

demo: install
	$(BIN)/ispdsl demo --output $(OUT)

test: install
	$(BIN)/pytest $(PYTEST)

test-slow: install
	$(BIN)/pytest $(PYTEST) -m "slow or isp_export"

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

# Optional: without them the pipelines that they run are refused with a word on how to get them.
programs:
	@if ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then \
	  echo "make programs: needs apt-get and root. Install by hand what you want of: $(PROGRAMS)" >&2; exit 1; \
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PROGRAMS)

# pytest leaves with 5 where no test is marked as a benchmark.
bench: install
	$(BIN)/pytest -q -m bench || test $$? -eq 5
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.overhead_registers
	$(BIN)/python -m benchmarks.overhead_libraw
	$(BIN)/python -m benchmarks.overhead_darktable
	$(BIN)/python -m benchmarks.sampling
	$(BIN)/python -m benchmarks.compiled --pipeline eight

bench-speed: install
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.speed $(if $(RAW),--raw "$(RAW)") $(if $(THREADS),--threads $(THREADS))

reproduce-neutral: install
	$(BIN)/python -m benchmarks.reproduce.neutral $(if $(DATA),--data "$(DATA)")

reproduce-approximation: install
	$(BIN)/python -m benchmarks.reproduce.approximation $(if $(DATA),--data "$(DATA)") $(TARGETS:%=--target %)

reproduce-regression: install
	$(BIN)/python -m benchmarks.reproduce.regression $(if $(DATA),--data "$(DATA)") $(CASES:%=--case %)

reproduce-functions: install
	$(BIN)/python -m benchmarks.reproduce.functions $(SEARCHERS:%=--searcher %) $(if $(JOBS),--jobs $(JOBS))

reproduce-registers: install
	$(BIN)/python -m benchmarks.reproduce.registers $(if $(DATA),--data "$(DATA)")

reproduce-denoiser: install
	$(BIN)/python -m benchmarks.reproduce.denoiser $(if $(DATA),--data "$(DATA)") $(if $(JOBS),--jobs $(JOBS))

reproduce-local-laplacian: install
	$(BIN)/python -m benchmarks.reproduce.local_laplacian $(if $(DATA),--data "$(DATA)")

reproduce-camera-jpeg: install
	$(BIN)/python -m benchmarks.reproduce.camera_jpeg $(if $(DATA),--data "$(DATA)")

reproduce-tasks: install
	$(BIN)/python -m benchmarks.reproduce.tasks $(if $(DATA),--data "$(DATA)") $(CASES:%=--case %)

reproduce-prediction: install
	$(BIN)/python -m benchmarks.reproduce.prediction $(if $(DATA),--data "$(DATA)") $(CASES:%=--case %) \
	  --jobs $(or $(JOBS),$(if $(DEVICE),1,2)) $(if $(DEVICE),--device $(DEVICE))

reproduce-joint: install
	$(BIN)/python -m benchmarks.reproduce.joint $(if $(DATA),--data "$(DATA)") $(TABLES:%=--table %) \
	  $(if $(DEVICE),--device $(DEVICE)) $(if $(JOBS),--jobs $(JOBS)) \
	  $(if $(GUIDE),--guide "$(GUIDE)") $(if $(GUIDE_PYTHON),--guide-python "$(GUIDE_PYTHON)")

reproduce-distillation: install
	$(BIN)/python -m benchmarks.reproduce.distillation $(if $(DATA),--data "$(DATA)") $(CASES:%=--case %) \
	  $(if $(DEVICE),--device $(DEVICE)) $(if $(JOBS),--jobs $(JOBS))

reproduce-style: install
	$(BIN)/python -m benchmarks.reproduce.style $(if $(DATA),--data "$(DATA)") $(if $(JOBS),--jobs $(JOBS)) $(if $(DEVICE),--device $(DEVICE))

reproduce-attack: install
	$(BIN)/python -m benchmarks.reproduce.attack $(if $(DATA),--data "$(DATA)") $(CASES:%=--case %) \
	  $(if $(DEVICE),--device $(DEVICE))

reproduce-frontend: install
	$(BIN)/python -m benchmarks.reproduce.frontend $(if $(DATA),--data "$(DATA)") $(if $(DEVICE),--device $(DEVICE))

reproduce-faults: install
	$(BIN)/python -m benchmarks.faults

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@python=; \
	for candidate in $(or $(PYTHON),python3.11 python3 python3.12 python3.13); do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "make: ispdsl needs Python 3.11 or newer, and $(or $(PYTHON),python3.11 or python3) is not that." >&2; \
	  echo "      Install one, or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "make: $$python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi; \
	echo "Installing ispdsl into .venv with $$($$python --version) (a few minutes the first time)"; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $$python -m venv --clear .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv out build dist .pytest_cache .ruff_cache .hypothesis
	find ispdsl tests -name __pycache__ -type d -prune -exec rm -rf {} +
