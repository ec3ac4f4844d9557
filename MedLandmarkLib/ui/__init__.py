"""The panel of the Slicer module: one class per section, each given the widgets of the .ui file and its logic.

Names follow Slicer's style here (camelCase), as the rest of the application that these classes talk to.
"""
