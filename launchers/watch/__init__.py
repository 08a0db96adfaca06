"""`sgg watch`: how a run, a pipeline or a sweep goes on, look after look."""
