"""Raw style transfer: pictures of a look, raws of other scenes, and how near what is finished comes."""
