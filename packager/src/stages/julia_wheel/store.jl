# Puts a package image of TyPython into a depot, under the name by which Julia finds it. Arguments: the cache header, the
# image, the depot. Packing may have stripped the image: the header ends with checksums of the image and of itself.
let (header, image, depot) = ARGS,
    typython = Base.PkgId(Base.UUID("9c4566a2-237d-4c69-9a5e-9d27b7d0881b"), "TyPython"),
    (directory, name) = Base.cache_file_entry(typython),
    target = joinpath(mkpath(joinpath(depot, directory)), name * "_shared")

    cp(image, target * ".so")
    open(target * ".ji"; read=true, write=true, create=true) do file
        write(file, read(header)[1:(end - 8)])
        write(file, open(Base._crc32c, image))
        seekstart(file)
        write(file, Base._crc32c(file))
    end
end
