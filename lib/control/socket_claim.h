// SocketClaim: the control socket's path, owned by this process: bound and listening. Taken before
// anything else that two appliances must not share, so that a second one is refused at once.
//
//   Lock    `PATH.lock`, held with flock(2) for as long as the claim lives. The kernel frees it when
//           the process ends in whatever way, so a lock file that was left behind means nothing.
//   Clients may connect as soon as the claim stands; they wait until a Server answers.
//   End     the destructor closes the socket and removes both files, where they still are its own.
//   Errors  one sentence that says what to do.
//   Thread  any, one at a time.
#pragma once

#include <string>

#include <sys/types.h>

#include "base/result.h"

namespace sekisho::control {

class SocketClaim {
  public:
    // Makes the folder (mode 0755) where it is missing, takes the lock, removes a socket that none
    // answers on, binds (mode 0660) and listens.
    static Result<SocketClaim> take(const std::string& path);
    SocketClaim(SocketClaim&& other) noexcept;
    SocketClaim& operator=(SocketClaim&&) = delete;
    SocketClaim(const SocketClaim&) = delete;
    SocketClaim& operator=(const SocketClaim&) = delete;
    ~SocketClaim();

    const std::string& path() const { return path_; }
    int listener() const { return listener_; }

  private:
    SocketClaim(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

    std::string path_;
    int lock_;
    int listener_ = -1;
    dev_t device_ = 0;  // of the socket file
    ino_t inode_ = 0;
};

}  // namespace sekisho::control
