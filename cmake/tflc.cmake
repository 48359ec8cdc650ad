# tflc_add_model: a .tflite model as a library of C code, compiled anew when the model changes.
#
#   include(path/to/tflc.cmake)
#   tflc_add_model(kws MODEL models/kws.tflite TARGET cortex-m4 [FLASH 256K] [RAM 64K]
#                  [WEIGHTS_SECTION .ext_flash] [ARENA_SECTION .bss.ccm] [ARENA shared])
#   target_link_libraries(app PRIVATE kws)
#
# makes the static library `kws` of kws.c, and puts kws.h on the include path of who links it. The
# program is found on the PATH, or named by -DTFLC_EXECUTABLE=…. It works alike in plain CMake, with
# the Pico SDK, in an ESP-IDF component (behind idf_component_register; link to ${COMPONENT_LIB}) and
# in a Zephyr application (link to app): flags and headers come from the build around it.

function(tflc_add_model name)
    # ESP-IDF reads components once without building anything.
    if(CMAKE_SCRIPT_MODE_FILE OR CMAKE_BUILD_EARLY_EXPANSION)
        return()
    endif()
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "MODEL;TARGET;FLASH;RAM;WEIGHTS_SECTION;ARENA_SECTION;ARENA" "OPTIONS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "tflc_add_model(${name}): unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    foreach(required MODEL TARGET)
        if(NOT arg_${required})
            message(FATAL_ERROR "tflc_add_model(${name}): ${required} is missing")
        endif()
    endforeach()
    if(NOT name MATCHES "^[A-Za-z_][A-Za-z0-9_]*$")
        message(FATAL_ERROR "tflc_add_model(${name}): the name becomes a prefix in C: letters, digits and _ only")
    endif()
    get_filename_component(model "${arg_MODEL}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
    if(NOT EXISTS "${model}")
        message(FATAL_ERROR "tflc_add_model(${name}): there is no file ${model}")
    endif()

    find_program(TFLC_EXECUTABLE tflc DOC "The tflc compiler" NO_CMAKE_FIND_ROOT_PATH)
    if(NOT TFLC_EXECUTABLE)
        message(FATAL_ERROR "tflc_add_model(${name}): tflc isn't on the PATH; install it (cargo install tflc) or set TFLC_EXECUTABLE")
    endif()

    set(folder "${CMAKE_CURRENT_BINARY_DIR}/tflc/${name}")
    set(options --target "${arg_TARGET}" --name "${name}" ${arg_OPTIONS})
    foreach(setting FLASH RAM WEIGHTS_SECTION ARENA_SECTION ARENA)
        if(arg_${setting})
            string(TOLOWER "${setting}" option)
            string(REPLACE "_" "-" option "${option}")
            list(APPEND options "--${option}" "${arg_${setting}}")
        endif()
    endforeach()
    file(MAKE_DIRECTORY "${folder}")
    add_custom_command(
        OUTPUT "${folder}/${name}.c" "${folder}/${name}.h"
        COMMAND "${TFLC_EXECUTABLE}" "${model}" ${options} -o "${folder}/${name}.c"
        # tflc leaves files alone that are up to date; the build wants them newer than the model.
        COMMAND "${CMAKE_COMMAND}" -E touch "${folder}/${name}.c" "${folder}/${name}.h"
        DEPENDS "${model}" "${TFLC_EXECUTABLE}"
        COMMENT "tflc ${name}"
        VERBATIM)
    add_library(${name} STATIC "${folder}/${name}.c" "${folder}/${name}.h")
    target_include_directories(${name} PUBLIC "${folder}")
    set_target_properties(${name} PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON)
    # Zephyr's flags for the core.
    if(TARGET zephyr_interface)
        target_link_libraries(${name} PUBLIC zephyr_interface)
    endif()
endfunction()
