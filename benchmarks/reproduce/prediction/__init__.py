"""`make reproduce-prediction`: settings for each picture by a network, against one setting for all."""
