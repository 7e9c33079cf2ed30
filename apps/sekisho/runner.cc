#include "sekisho/runner.h"

#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

#include "control/client.h"
#include "control/json_text.h"
#include "control/show_text.h"
#include "sekisho/pager.h"

namespace sekisho::cli {

namespace {

using control::Document;
using control::Json;
using control::ParsedCommand;

constexpr unsigned kRowsPerPage = 2000;

// A listing as one JSON object, written as its pages come: {"mappings": [ ... ]}
class JsonListing {
  public:
    explicit JsonListing(std::string_view name) : name_(name) {}
    std::string page(const Document& result) {
        std::string out = rows_ == 0 && !begun_ ? fmt::format("{{\"{}\": [", name_) : "";
        begun_ = true;
        if (result.contains(name_) && result.at(name_).is_array()) {
            for (const Document& row : result.at(name_)) {
                out += rows_++ == 0 ? "\n  " : ",\n  ";
                out += control::to_line(row, true);
            }
        }
        return out;
    }
    std::string finish() const { return rows_ == 0 ? "]}\n" : "\n]}\n"; }

  private:
    std::string name_;
    size_t rows_ = 0;
    bool begun_ = false;
};

// How one command's results become text, page by page.
struct Printer {
    std::function<std::string(const Document&)> page;
    std::function<std::string()> finish;
};

Printer printer_of(const ParsedCommand& command) {
    if (command.json && command.command->is_listing) {
        auto listing = std::make_shared<JsonListing>(command.command->row_name());
        return {
            [listing](const Document& result) { return listing->page(result); },
            [listing] { return listing->finish(); }};
    }
    if (command.json) {
        return {
            [](const Document& result) { return control::to_lines(result) + "\n"; },
            [] { return std::string(); }};
    }
    auto view = std::make_shared<control::TextView>(*command.command, command.exact);
    return {
        [view](const Document& result) { return view->render(result); },
        [view] { return view->finish(); }};
}

// Asks page by page. What the appliance had to say instead, if anything.
tl::expected<void, control::CallError> print_all(
    control::Client& client, const ParsedCommand& command, Output& output
) {
    const Printer printer = printer_of(command);
    Json params = command.params;
    if (command.command->is_listing) {
        params["limit"] = kRowsPerPage;
    }
    while (true) {
        const auto result = client.call(std::string(command.command->method), params);
        if (!result) {
            return tl::unexpected<control::CallError>(result.error());
        }
        if (!output.write(printer.page(*result))) {
            return {};  // nobody reads on, or nothing can be written
        }
        const auto next = result->find("next");
        if (next == result->end() || !next->is_string()) {
            break;
        }
        params["cursor"] = next->get<std::string>();
    }
    output.write(printer.finish());
    return {};
}

void say_silent() {
    if (isatty(STDERR_FILENO) != 0) {
        complain("sekishod has not answered yet, waiting (Ctrl-C stops)");
    }
}

}  // namespace

// Through the C library: fmt::print would throw where standard error is closed.
void complain(const std::string& sentence) {
    const std::string line = "sekisho: " + control::printable(sentence, true) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
}

int status_of_output(int error) {
    if (error == 0) {
        return kDone;
    }
    complain(fmt::format("the output could not be written: {}", std::strerror(error)));
    return kRefused;
}

int Runner::ask(const ParsedCommand& command, bool paged) const {
    auto client = control::Client::connect(socket_);
    if (!client) {
        complain(client.error().message);
        return kUnusable;
    }
    client->on_silence(say_silent);
    Output output(paged);
    const auto printed = print_all(*client, command, output);
    const int status = status_of_output(output.finish());
    if (printed) {
        return status;
    }
    complain(printed.error().message);
    return printed.error().kind == control::CallError::kRefused ? kRefused : kUnusable;
}

int Runner::run(const std::vector<std::string>& words, bool paged) const {
    const auto parsed = control::parse_command(words);
    if (!parsed) {
        complain(parsed.error());
        return kUnusable;
    }
    if (parsed->command->verb == "help") {
        Output output(paged);
        output.write(control::help_text());
        return status_of_output(output.finish());
    }
    if (parsed->command->method.empty()) {
        return kDone;  // exit, quit: the caller's business
    }
    return ask(*parsed, paged);
}

}  // namespace sekisho::cli
