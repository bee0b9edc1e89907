# Reads the table of instruction sets. Sets DIPTYCH_ISAS to the names of all, in the table's order,
# DIPTYCH_BUILT_ISAS to those of this architecture, and DIPTYCH_ISA_FLAGS_<name> to what the
# compiler is told for one, the flags of those that it builds on included.
set(table ${CMAKE_SOURCE_DIR}/src/kernels/isas.inc)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table})
set(DIPTYCH_ISAS "")
set(DIPTYCH_BUILT_ISAS "")
file(STRINGS ${table} rows REGEX "^DIPTYCH_ISA\\(")
foreach(row ${rows})
  if(NOT row MATCHES "^DIPTYCH_ISA\\(([A-Za-z0-9]+), \"([a-z0-9_]+)\", ([A-Za-z0-9]+), .*, \"([^\"]*)\"\\)$")
    message(FATAL_ERROR "${table}: expected a row such as those beside it, found ${row}")
  endif()
  set(id ${CMAKE_MATCH_1})
  set(name ${CMAKE_MATCH_2})
  set(base ${CMAKE_MATCH_3})
  separate_arguments(flags UNIX_COMMAND "${CMAKE_MATCH_4}")
  set(flags_of_${id} ${flags_of_${base}} ${flags})
  list(APPEND DIPTYCH_ISAS ${name})
  if(NOT row MATCHES "DIPTYCH_ON_X86" OR CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND DIPTYCH_BUILT_ISAS ${name})
  endif()
  set(DIPTYCH_ISA_FLAGS_${name} ${flags_of_${id}})
  if(name MATCHES "avx512|amx")
    # GCC 12 takes offence at the undefined registers of its own header.
    list(APPEND DIPTYCH_ISA_FLAGS_${name}
         "$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized;-Wno-maybe-uninitialized>")
  endif()
endforeach()
