"""Files of pictures: read, brought to 8 bits a sample, decoded into the cache."""
