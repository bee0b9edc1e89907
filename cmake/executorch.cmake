# Finds the stock ExecuTorch that the plug-in is built for: the package "executorch" of a Python
# environment, 1.5 or later, which brings headers, libexecutorch.so and a CMake config.
#
# DIPTYCH_EXECUTORCH says where: a virtual environment, a directory with packages, or the package
# itself. Without it: $VIRTUAL_ENV, then the Python that runs the build or is in the path.
set(DIPTYCH_EXECUTORCH "" CACHE PATH "A virtual environment or wheel directory with ExecuTorch")

# The package directory within `place`, or nothing.
function(diptych_executorch_within place out)
  file(GLOB candidates ${place} ${place}/executorch ${place}/lib/python3*/site-packages/executorch
       ${place}/lib64/python3*/site-packages/executorch)
  set(${out} "" PARENT_SCOPE)
  foreach(candidate ${candidates})
    if(EXISTS ${candidate}/share/cmake/executorch-config.cmake)
      set(${out} ${candidate} PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

# Sets `out` to the package directory, or to nothing and `tried` to a list of what was looked at.
function(diptych_find_executorch out tried)
  set(places)
  if(DIPTYCH_EXECUTORCH)
    set(places ${DIPTYCH_EXECUTORCH})
  else()
    if(DEFINED ENV{VIRTUAL_ENV})
      list(APPEND places $ENV{VIRTUAL_ENV})
    endif()
    # A build of the Python package says which Python it is for.
    set(python python3)
    if(Python_EXECUTABLE)
      set(python ${Python_EXECUTABLE})
    endif()
    execute_process(COMMAND ${python} -c "import sysconfig; print(sysconfig.get_path('purelib'))"
                    OUTPUT_VARIABLE packages OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    list(APPEND places ${packages})
  endif()
  set(found "")
  foreach(place ${places})
    diptych_executorch_within(${place} found)
    if(found)
      break()
    endif()
  endforeach()
  set(${out} "${found}" PARENT_SCOPE)
  set(${tried} "${places}" PARENT_SCOPE)
endfunction()

# The version of the package in `directory`.
function(diptych_executorch_version directory out)
  file(STRINGS ${directory}/version.py line REGEX "^__version__ *=")
  string(REGEX REPLACE ".*= *[\"']([^\"']*).*" "\\1" version "${line}")
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# Imports the package in `directory` as the target diptych_stock_executorch: headers and the
# runtime library. (ExecuTorch's own imported targets need CMake 3.28.)
macro(diptych_import_executorch directory)
  find_package(executorch REQUIRED CONFIG NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH PATHS ${directory}/share/cmake)
  if(NOT EXISTS ${EXECUTORCH_RUNTIME_LIBRARY_DIR}/libexecutorch.so)
    message(FATAL_ERROR "The ExecuTorch in ${directory} has no libexecutorch.so; "
                        "version 1.5 or later is needed.")
  endif()
  add_library(diptych_stock_executorch INTERFACE)
  target_include_directories(diptych_stock_executorch SYSTEM INTERFACE ${EXECUTORCH_INCLUDE_DIRS})
  target_compile_definitions(diptych_stock_executorch INTERFACE ${EXECUTORCH_COMPILE_DEFINITIONS})
  target_link_libraries(diptych_stock_executorch
                        INTERFACE ${EXECUTORCH_RUNTIME_LIBRARY_DIR}/libexecutorch.so)
endmacro()
