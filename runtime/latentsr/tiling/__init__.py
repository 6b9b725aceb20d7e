"""Pictures made in parts: exact tiles within a memory budget, regions, and files in strips.

Every tile is given all that its samples depend on, by the windows in the bundle's manifest
(`latentsr.windows`), so there are no seams and nothing is blended. Engines add up in another order
where shapes differ: a sample before its rounding to 8 bits moves by no more than some 1e-6 of the
largest value, and the rounded one by at most 1, where it lay on the border between two.

`calls` is what `Codec` calls, `job` one decode, `tail` the part of the route that is tiled;
`phases` and `plan` choose tiles, `budget` knows what they take, `steps` how each step makes a part
of its output, `run` runs them; `sinks`, `png` and `tiff` take what they make.
"""
