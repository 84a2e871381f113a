"""A pipeline's settings and a classifier trained together, on dark pictures and on dark raws."""
