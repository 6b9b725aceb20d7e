"""Pictures made in parts: exact tiles within a memory budget, regions, and files in strips.

Every tile is given all that its samples depend on, by the windows in the bundle's manifest
(`latentsr.windows`), so there are no seams and nothing is blended. Engines add up in another order
where shapes differ: a sample before its rounding to 8 bits moves by no more than some 1e-6 of the
largest value, and the rounded one by at most 1, where it lay on the border between two.

Encoding takes the same tiles. Its latents, too, move by some 1e-6 of the largest value, and one
that lies so close to the border between two symbols may become the other. The encoder goes on with
the symbol it has, so such a stream is as valid as the one of the whole picture, decodes everywhere
to what was coded, and differs from it by a step of one latent. Where no latent lies there, which
is so for most pictures, the stream is the same bytes; and always where the budget takes one tile.

`calls` is what `Codec` calls to decode and `encode` to encode, `job` makes values within a budget,
`head` runs the entropy steps of a decode and `tail` is the part of a decode route that is tiled;
`phases` and `plan` choose tiles, `budget` knows what they take, `steps` how each step makes a part
of its output, `run` runs them; `sinks`, `png` and `tiff` take what they make.
"""
