"""How a vector is made and a choice taken: arrays in, arrays out."""
