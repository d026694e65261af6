"""Few-shot segmentation in the application: the scene's side of it and the parts of its panel."""
