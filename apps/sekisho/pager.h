// Output: where a command's text goes: straight to standard output, or, for people at a terminal, through a pager as soon
// as it is longer than the screen.
//
//   Pager     $PAGER, else less where it is installed, else a built-in one (a key for the next screen, q to stop).
//   Bounds    holds one screen; a long listing is fetched as fast as it is read.
//   Thread    one.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace sekisho::cli {

class Output {
  public:
    // `paged`: only where standard input and output are a terminal.
    explicit Output(bool paged);
    ~Output();  // finish()
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    // False: nobody reads on (the pager was left, the pipe is closed, Ctrl-C): stop.
    bool write(std::string_view text);
    // Shows what is left and waits for the pager to end. 0, or why standard output failed, as an
    // errno: a full disk, for one. A pager or a pipe that nobody reads from any more is no failure.
    int finish();

  private:
    bool put(std::string_view text);
    bool begin_paging();
    bool write_paged(std::string_view text);
    bool ask_for_more();

    bool paged_;
    size_t screen_ = 0;  // lines of the terminal
    size_t lines_ = 0;   // written since the last stop
    std::string held_;   // while it may still fit on the screen
    FILE* pager_ = nullptr;
    bool built_in_ = false;
    bool stopped_ = false;
    int error_ = 0;
};

// Set by Ctrl-C once it is watched; a command that runs looks at it between pages. A broken pipe is then an error of
// write, no signal.
bool interrupted();
void forget_interrupt();
void watch_interrupts();

}  // namespace sekisho::cli
