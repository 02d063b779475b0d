"""x"""
def run_torch(face, out): raise NotImplementedError
