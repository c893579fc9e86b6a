"""A month of somebody's work, compressed: places to work in, what is done there, who asks meanwhile, what it costs."""
