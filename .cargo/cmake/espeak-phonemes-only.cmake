# Presets for espeak-ng's cmake/deps.cmake: "found" means it does not clone sonic; the USE_ options keep it out of the build.
set(SONIC_LIB "not-linked" CACHE STRING "" FORCE)
set(SONIC_INC "${CMAKE_CURRENT_LIST_DIR}" CACHE PATH "" FORCE)
set(USE_LIBSONIC OFF CACHE BOOL "" FORCE)
set(USE_LIBPCAUDIO OFF CACHE BOOL "" FORCE)
set(USE_MBROLA OFF CACHE BOOL "" FORCE)
