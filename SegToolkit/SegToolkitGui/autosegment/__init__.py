"""The automatic-segmentation module: its runs, its session, and the parts of its panel."""
