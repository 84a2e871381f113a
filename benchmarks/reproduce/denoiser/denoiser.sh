#!/bin/sh
# A photograph denoised by ffmpeg's bm3d. Arguments: photograph, result, estimate, pixel format, options.
case "$3" in
  basic) graph="format=$4,bm3d=$5" ;;
  final) graph="format=$4,split[a][b];[a]bm3d=$5[guide];[b][guide]bm3d=$5:estim=final:ref=1" ;;
esac
exec ffmpeg -v error -nostdin -threads 1 -filter_threads 1 -filter_complex_threads 1 -i "$1" -filter_complex "$graph" \
  -pix_fmt rgb24 -f image2 -c:v ppm "$2"
