"""The parts of a synthetic satellite scene: relief, land cover, parcels, town, water and sky.

Every position and length is in metres, x to the right and y down from the frame's top left
corner; a plane is a float32 array of shape (height, width); a picture is three such planes,
red, green and blue, as fractions 0..1 of full display scale.
"""
