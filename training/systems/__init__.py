"""Several recipes under one protocol: each trained or loaded, evaluated on the same pictures.

Example::

    systems = gather(recipes, folder=Path("runs"), request=request, faces=faces)
    write_all(out, report_files(compare_systems(systems, faces)))
"""
