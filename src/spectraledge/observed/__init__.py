"""A recorded run seen at a step: its window, its network, labelled directions and one pass of observation."""
