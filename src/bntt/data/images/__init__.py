"""Files of pictures: how they are read, brought to 8 bits a sample and cached."""
