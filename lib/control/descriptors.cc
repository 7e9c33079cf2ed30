#include "control/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

namespace sekisho::control {

bool fill_closed_descriptors() {
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) {
            return false;
        }
    }
    return true;
}

}  // namespace sekisho::control
