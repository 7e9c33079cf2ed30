#include "dataplane/shut_down.h"

namespace sekisho::dataplane {

void shut_down(std::span<const std::unique_ptr<Worker>> workers, SlowPath& slow_path) {
    for (bool is_empty = false; !is_empty;) {
        for (const auto& worker : workers) {
            worker->shut_down();
        }
        is_empty = slow_path.shut_down();
    }
    for (const auto& worker : workers) {
        worker->shut_down();
    }
}

}  // namespace sekisho::dataplane
