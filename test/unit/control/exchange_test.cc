// JSON-RPC 2.0 as the specification has it: one line in, one line out.
#include "control/exchange.h"

#include <catch2/catch.hpp>

#include "control/json_text.h"
#include "fake_inspector.h"

using namespace sekisho;
using control::Json;

namespace {

struct Rig {
    config::Config config = test::small_config();
    test::FakeInspector inspector{config};
    control::Methods methods{inspector, config};
    std::string answer(const std::string& line) { return control::answer(line, methods); }
    Json parsed(const std::string& line) { return Json::parse(answer(line)); }
};

}  // namespace

TEST_CASE("a request is answered on one line, with its id", "[control][json-rpc]") {
    Rig rig;
    const auto id =
        GENERATE(as<std::string>(), "1", "\"a\"", "-3", "1.5", "null", "\"\\u0000\\n\"");
    const std::string reply =
        rig.answer(R"({"jsonrpc":"2.0","method":"show.counters","id":)" + id + "}");
    REQUIRE(reply.find('\n') == reply.size() - 1);
    const Json json = Json::parse(reply);
    REQUIRE(json.at("jsonrpc") == "2.0");
    REQUIRE(json.at("id") == Json::parse(id));
    REQUIRE(json.at("result").at("received") == 0);
    REQUIRE_FALSE(json.contains("error"));
}

TEST_CASE("what is wrong with a line is said in the specification's codes", "[control][json-rpc]") {
    Rig rig;
    struct Case {
        const char* line;
        int code;
        const char* id;
    };
    const auto wrong = GENERATE(values<Case>({
        {"{", control::kParseError, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"show.status\"", control::kParseError, "null"},
        {"nonsense", control::kParseError, "null"},
        {"{} {}", control::kParseError, "null"},
        {"\"\xff\"", control::kParseError, "null"},
        {"1e999", control::kParseError, "null"},
        {"{}", control::kInvalidRequest, "null"},
        {"1", control::kInvalidRequest, "null"},
        {"null", control::kInvalidRequest, "null"},
        {"[]", control::kInvalidRequest, "null"},
        {R"({"jsonrpc":"1.0","id":1,"method":"show.status"})", control::kInvalidRequest, "1"},
        {R"({"jsonrpc":2.0,"id":1,"method":"show.status"})", control::kInvalidRequest, "1"},
        {R"({"id":1,"method":"show.status"})", control::kInvalidRequest, "1"},
        {R"({"jsonrpc":"2.0","id":1})", control::kInvalidRequest, "1"},
        {R"({"jsonrpc":"2.0","id":1,"method":7})", control::kInvalidRequest, "1"},
        {R"({"jsonrpc":"2.0","id":{},"method":"show.status"})", control::kInvalidRequest, "null"},
        {R"({"jsonrpc":"2.0","id":[1],"method":"show.status"})", control::kInvalidRequest, "null"},
        {R"({"jsonrpc":"2.0","id":true,"method":"show.status"})", control::kInvalidRequest, "null"},
        {R"({"jsonrpc":"2.0","id":1,"method":"show.status","params":"x"})",
         control::kInvalidRequest,
         "1"},
        {R"({"jsonrpc":"2.0","id":1,"method":"show.everything"})", control::kMethodNotFound, "1"},
        {R"({"jsonrpc":"2.0","id":1,"method":""})", control::kMethodNotFound, "1"},
        {R"({"jsonrpc":"2.0","id":1,"method":"show.status","params":[1]})",
         control::kInvalidParams,
         "1"},
        {R"({"jsonrpc":"2.0","id":1,"method":"show.sessions","params":{"limit":"x"}})",
         control::kInvalidParams,
         "1"},
    }));
    INFO(wrong.line);
    const Json reply = rig.parsed(wrong.line);
    REQUIRE(reply.at("error").at("code") == wrong.code);
    REQUIRE(reply.at("error").at("message").get<std::string>().size() > 5);
    REQUIRE(reply.at("id") == Json::parse(wrong.id));
    REQUIRE_FALSE(reply.contains("result"));
}

TEST_CASE("an error of the dataplane is an internal error", "[control][json-rpc]") {
    Rig rig;
    rig.inspector.trouble = "worker 0 does not answer";
    const Json reply = rig.parsed(R"({"jsonrpc":"2.0","id":1,"method":"show.pools"})");
    REQUIRE(reply.at("error").at("code") == control::kInternalError);
    REQUIRE(reply.at("error").at("message") == "worker 0 does not answer");
}

TEST_CASE("a notification is carried out and not answered", "[control][json-rpc]") {
    Rig rig;
    rig.inspector.totals.received = 9;
    REQUIRE(rig.answer(R"({"jsonrpc":"2.0","method":"clear.counters"})").empty());
    REQUIRE(rig.inspector.totals.received == 0);
    REQUIRE(rig.answer(R"({"jsonrpc":"2.0","method":"no.such"})").empty());
}

TEST_CASE("a batch is answered by an array, without its notifications", "[control][json-rpc]") {
    Rig rig;
    const std::string line =
        R"([{"jsonrpc":"2.0","method":"clear.counters"},{"jsonrpc":"2.0","id":1,"method":"show.status"},)"
        R"(1,{"jsonrpc":"2.0","id":2,"method":"nothing"}])";
    const std::string reply = rig.answer(line);
    REQUIRE(reply.find('\n') == reply.size() - 1);
    const Json json = Json::parse(reply);
    REQUIRE(json.size() == 3);
    REQUIRE(json[0].at("id") == 1);
    REQUIRE(json[0].contains("result"));
    REQUIRE(json[1].at("error").at("code") == control::kInvalidRequest);
    REQUIRE(json[2].at("error").at("code") == control::kMethodNotFound);

    REQUIRE(rig.answer(R"([{"jsonrpc":"2.0","method":"clear.counters"}])").empty());
}

TEST_CASE("a batch is answered request by request", "[control][json-rpc]") {
    Rig rig;
    control::Exchange exchange(
        R"([{"jsonrpc":"2.0","id":1,"method":"show.status"},{"jsonrpc":"2.0","id":2,"method":"x"}])"
    );
    const std::string first = exchange.step(rig.methods);
    REQUIRE(first.substr(0, 2) == "[{");
    REQUIRE_FALSE(exchange.is_done());
    const std::string second = exchange.step(rig.methods);
    REQUIRE(second.substr(0, 2) == ",{");
    REQUIRE(second.substr(second.size() - 2) == "]\n");
    REQUIRE(exchange.is_done());
}

TEST_CASE("a batch, its nesting and its number of values have bounds", "[control][json-rpc]") {
    Rig rig;
    const auto repeat = [](const std::string& what, size_t times) {
        std::string out;
        for (size_t i = 0; i < times; ++i) {
            out += what;
        }
        return out;
    };
    const auto code = [&rig](const std::string& line) {
        return rig.parsed(line).at("error").at("code").get<int>();
    };
    REQUIRE(
        rig.parsed("[" + repeat("1,", control::kMaxBatch - 1) + "1]").size() == control::kMaxBatch
    );
    REQUIRE(code("[" + repeat("1,", control::kMaxBatch) + "1]") == control::kInvalidRequest);
    REQUIRE(code(repeat("[", 500000)) == control::kInvalidRequest);
    REQUIRE(code(repeat("{\"a\":", 100000)) == control::kInvalidRequest);
    REQUIRE(code("[" + repeat("[],", control::kMaxValues)) == control::kInvalidRequest);
    // Brackets inside a string are no nesting.
    REQUIRE(code("\"\\\"" + repeat("[", 100) + "\"") == control::kInvalidRequest);
    REQUIRE(
        rig.parsed("\"" + repeat("[", 100) + "\"")
            .at("error")
            .at("message")
            .get<std::string>()
            .find("wanted a request object") != std::string::npos
    );
}

TEST_CASE("text for a terminal carries no control characters", "[control]") {
    REQUIRE(control::printable("a\x1b[31mb\n\x7f") == "a\\x1b[31mb\\x0a\\x7f");
    REQUIRE(control::printable("a\nb", true) == "a\nb");
    REQUIRE(
        control::printable("\xc2\x9b"
                           "31m") == "\\x9b31m"
    );
    REQUIRE(control::printable("関所") == "関所");
    REQUIRE(control::to_line({{"a", "\x1b\xff"}}, true) == "{\"a\":\"\\u001b\\ufffd\"}");
}
