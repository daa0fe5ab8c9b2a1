// get, put, del, compaction, version.
#include <iostream>
#include <memory>

#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/key_args.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

constexpr const char* kVersion = "0.1.0";
constexpr const char* kApiVersion = "3.7";

void AddGet(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "get", "Gets a key or a range of keys",
                           "  kvctl get color\n"
                           "  kvctl get --prefix config/ --keys-only\n"
                           "  kvctl get a m                      # a <= key < m\n"
                           "  kvctl get color --rev 4            # as it was\n"
                           "  kvctl get --prefix '' --sort-by MODIFY --order DESCEND --limit 5");
  auto args = std::make_shared<GetArgs>(verb);
  verb->callback([&session, args] {
    session.run = [&session, args]() -> Outcome {
      etcdserverpb::RangeRequest request;
      if (Outcome parsed = args->ToRequest(&request); !parsed.ok()) return parsed;
      if (args->print_value_only && session.format() != Format::kSimple) {
        return Fail(kExitBadArgs, "print-value-only is only for `--write-out=simple`");
      }
      return session.CallAndPrint(
          request, [](Printer& printer, const auto& response) { printer.Get(response); },
          {.value_only = args->print_value_only, .count_only = args->count_only});
    };
  });
}

void AddPut(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "put", "Puts a key",
                           "  kvctl put color green\n"
                           "  kvctl put config/app < app.yaml    # the value from standard input\n"
                           "  kvctl put -- key -value            # what begins with - behind --\n"
                           "  kvctl put color red --prev-kv\n"
                           "  kvctl put here yes --lease 32695410dcc0ca06");
  auto args = std::make_shared<PutArgs>(verb);
  verb->callback([&session, args] {
    session.run = [&session, args]() -> Outcome {
      etcdserverpb::PutRequest request;
      if (Outcome parsed = args->ToRequest(&std::cin, &request); !parsed.ok()) return parsed;
      return session.CallAndPrint(
          request, [](Printer& printer, const auto& response) { printer.Put(response); });
    };
  });
}

void AddDel(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "del", "Deletes a key or a range of keys",
                           "  kvctl del color\n"
                           "  kvctl del --prefix config/ --prev-kv\n"
                           "  kvctl del a m                      # a <= key < m");
  auto args = std::make_shared<DelArgs>(verb);
  verb->callback([&session, args] {
    session.run = [&session, args]() -> Outcome {
      etcdserverpb::DeleteRangeRequest request;
      if (Outcome parsed = args->ToRequest(&request); !parsed.ok()) return parsed;
      return session.CallAndPrint(
          request, [](Printer& printer, const auto& response) { printer.Delete(response); });
    };
  });
}

void AddCompaction(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "compaction", "Forgets the history below a revision",
                           "  kvctl compaction 1234\n"
                           "  kvctl compaction --physical 1234   # wait until it is off the disk");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<revision>"});
  auto physical = std::make_shared<bool>(false);
  verb->add_flag("--physical", *physical, "wait until it is removed from the disk");
  verb->callback([&session, arguments, physical] {
    session.run = [&session, arguments, physical]() -> Outcome {
      const auto given = arguments->Get();
      if (given.size() != 1) return Fail(kExitBadArgs, "compaction command needs 1 argument");
      const auto revision = ParseInt64(given[0]);
      if (!revision) {
        return Fail(kExitError, base::StrCat("strconv.ParseInt: parsing ", Quote(given[0]),
                                             ": invalid syntax"));
      }
      if (Outcome connected = session.Connect(); !connected.ok()) return connected;
      const auto response = session.client().Compact(*revision, *physical);
      if (!response.ok()) return FailWith(response.status());
      std::cout << "compacted revision " << *revision << "\n";
      return Success();
    };
  });
}

void AddVersion(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "version", "Prints the version of kvctl", "  kvctl version");
  verb->callback([&session] {
    session.run = [] {
      std::cout << "kvctl version: " << kVersion << "\nAPI version: " << kApiVersion << "\n";
      return Success();
    };
  });
}

}  // namespace

void AddKeyVerbs(CLI::App& app, Session& session) {
  AddGet(app, session);
  AddPut(app, session);
  AddDel(app, session);
  AddCompaction(app, session);
  AddVersion(app, session);
}

}  // namespace keel::kvctl
