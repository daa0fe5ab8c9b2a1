// txn.
#include <iostream>
#include <memory>

#include "kvstore/kvctl/session.h"
#include "kvstore/kvctl/txn_parser.h"

namespace keel::kvctl {

void AddTxnVerb(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(
      app, "txn", "Does several things at once, if certain conditions hold",
      "  kvctl txn -i                       # asks for the three parts\n"
      "  printf 'mod(\"color\") = \"4\"\\n\\nput color blue\\n\\nget color\\n\\n' | kvctl txn\n"
      "Compares, an empty line, what to do if all hold, an empty line, what to do\n"
      "otherwise, an empty line. Compares: TARGET(\"key\") OPERATOR \"operand\" with\n"
      "  ver|version, c|create, m|mod, val|value, lease   and   =  !=  <  >");
  auto interactive = std::make_shared<bool>(false);
  verb->add_flag("-i,--interactive", *interactive, "ask for each part");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{});
  verb->callback([&session, interactive, arguments] {
    session.run = [&session, interactive, arguments]() -> Outcome {
      if (!arguments->Get().empty())
        return Fail(kExitBadArgs, "txn command does not accept argument");
      etcdserverpb::TxnRequest request;
      Outcome read = ReadTxn(std::cin, *interactive ? &std::cout : nullptr, &request);
      if (!read.ok()) return read;
      return session.CallAndPrint(
          request, [](Printer& printer, const auto& response) { printer.Txn(response); });
    };
  });
}

}  // namespace keel::kvctl
