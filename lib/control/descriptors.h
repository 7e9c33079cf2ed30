// The descriptors of a program that talks to the control socket.
//
//   Thread    the main thread, before anything else.
#pragma once

namespace sekisho::control {

// A descriptor 0 to 2 that the caller closed would become the control socket's, and output would go to the appliance. Open
// for reading alone, it makes writing fail, as it should. False: not even that could be done.
bool fill_closed_descriptors();

}  // namespace sekisho::control
