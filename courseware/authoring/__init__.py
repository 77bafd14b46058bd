"""From sources to notebooks: build, execute, adopt, look at, and collect what they claim."""
