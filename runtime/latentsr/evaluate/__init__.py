"""`latentsr evaluate`: rate and quality of a bundle's routes by the protocol of the CDSR papers.

`plan` says what is run, `protocol` runs it, `reduction` makes the LR picture, `anchors` finds what
the two anchors are, `metrics` compares pictures, `result` and `schema` say what comes out,
`table`, `lines`, `curves` and `plot` show it, `publish` writes it.
"""
