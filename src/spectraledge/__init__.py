"""Which functions of the input the weights of a network are moving along, while it trains."""
