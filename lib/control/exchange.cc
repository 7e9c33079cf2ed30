#include "control/exchange.h"

#include <fmt/format.h>

#include "control/json_text.h"

namespace sekisho::control {

namespace {

Document id_of(const Json& request) {
    const auto it = request.find("id");
    return it == request.end() ? Document() : Document(*it);
}

Document envelope(Document id) {
    Document reply = Document::object();
    reply["jsonrpc"] = "2.0";
    reply["id"] = std::move(id);
    return reply;
}

Document error_reply(Document id, const RpcError& error) {
    Document reply = envelope(std::move(id));
    reply["error"] = {{"code", error.code}, {"message", error.message}};
    return reply;
}

// What makes a value a request (JSON-RPC 2.0, section 4); nothing if it is one.
std::optional<RpcError> mistake_in(const Json& request) {
    if (!request.is_object()) {
        return RpcError{kInvalidRequest, "found " + quoted(request) + ", wanted a request object"};
    }
    const auto id = request.find("id");
    if (id != request.end() && !id->is_string() && !id->is_number() && !id->is_null()) {
        return RpcError{
            kInvalidRequest, "id: found " + quoted(*id) + ", wanted a string or number"};
    }
    const auto version = request.find("jsonrpc");
    if (version == request.end() || *version != "2.0") {
        return RpcError{kInvalidRequest, "jsonrpc: wanted the string 2.0"};
    }
    const auto method = request.find("method");
    if (method == request.end() || !method->is_string()) {
        return RpcError{kInvalidRequest, "method: wanted a string"};
    }
    const auto params = request.find("params");
    if (params != request.end() && !params->is_structured()) {
        return RpcError{kInvalidRequest, "params: found " + quoted(*params) + ", wanted an object"};
    }
    return std::nullopt;
}

// An id is echoed even when the rest of the request is wrong, as long as it can be an id.
Document echoed_id(const Json& request) {
    if (!request.is_object()) {
        return {};
    }
    Document id = id_of(request);
    return id.is_string() || id.is_number() ? id : Document();
}

// The reply to one request; nothing for a notification.
std::optional<Document> reply_to(const Json& request, Methods& methods) {
    if (const auto mistake = mistake_in(request)) {
        return error_reply(echoed_id(request), *mistake);
    }
    static const Json no_params;
    const auto params = request.find("params");
    const auto& method = request.at("method").get_ref<const std::string&>();
    Reply result = methods.call(method, params == request.end() ? no_params : *params);
    if (!request.contains("id")) {
        return std::nullopt;
    }
    if (!result) {
        return error_reply(id_of(request), result.error());
    }
    Document reply = envelope(id_of(request));
    reply["result"] = std::move(*result);
    return reply;
}

}  // namespace

std::string error_line(const RpcError& error) {
    return to_line(error_reply({}, error)) + "\n";
}

Exchange::Exchange(std::string_view line) {
    auto parsed = parse_json(line);
    if (!parsed) {
        refusal_ = error_line(parsed.error());
        return;
    }
    batch_ = parsed->is_array();
    if (batch_ && (parsed->empty() || parsed->size() > kMaxBatch)) {
        refusal_ = error_line(
            {kInvalidRequest,
             fmt::format("found a batch of {} requests, wanted 1 to {}", parsed->size(), kMaxBatch)}
        );
        return;
    }
    if (batch_) {
        requests_ = std::move(*parsed);
    } else {
        requests_ = Json::array();
        requests_.push_back(std::move(*parsed));
    }
}

std::string Exchange::step(Methods& methods) {
    if (!refusal_.empty()) {
        done_ = true;
        return std::move(refusal_);
    }
    std::string out;
    if (const auto reply = reply_to(requests_[next_], methods)) {
        if (batch_) {
            out = replied_ ? "," : "[";
        }
        out += to_line(*reply);
        replied_ = true;
    }
    ++next_;
    done_ = next_ == requests_.size();
    if (done_ && replied_) {
        out += batch_ ? "]\n" : "\n";
    }
    return out;
}

std::string answer(std::string_view line, Methods& methods) {
    Exchange exchange(line);
    std::string out;
    while (!exchange.is_done()) {
        out += exchange.step(methods);
    }
    return out;
}

}  // namespace sekisho::control
