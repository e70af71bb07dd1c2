from jl_state import told

told("yyyy-mm-dd", abs, number=2.5)
