#!/bin/sh
# A raw developed by GEGL, and denoised by ffmpeg's bm3d. Arguments: raw, picture before, picture after, estimate, bm3d's
# options of the first step, and of the second. In 8 bits: pictures of 16 bits leave the filter nearly unchanged wherever
# it stacks more than one patch.
set -e
gegl -o "$2" -- gegl:raw-load "path=$1" quality=ahd
before="format=gbrp"
case "$4" in
  basic) graph="$before,bm3d=$5:estim=basic" ;;
  final) graph="$before,split[a][b];[a]bm3d=$5:estim=basic[guide];[b][guide]bm3d=$6:estim=final:ref=1" ;;
esac
exec ffmpeg -v error -threads 1 -filter_complex_threads 1 -i "$2" -filter_complex "$graph" -pix_fmt rgb48be "$3"
