module JLLWrappers
const JULIA_LIBDIRS = String[]
end
