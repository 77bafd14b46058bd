"""courseware: what turns sources into notebooks, checks answers, grades labs and draws the interactive parts."""
