// man-page: the manual, kvctl(1), from the verbs themselves.
#include <iostream>
#include <string>

#include "absl/strings/str_join.h"
#include "base/man_page.h"
#include "base/strings.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

using base::ManPage;
using base::StrCat;

// "-w, --write-out TEXT"
std::string TagOf(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  const std::string type = option.get_expected_max() == 0 ? "" : option.get_type_name();
  return StrCat(absl::StrJoin(names, ", "), type.empty() ? "" : " ", type);
}

void AddOptions(const CLI::App& app, ManPage& page) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty() || option->get_positional()) continue;
    if (app.get_parent() != nullptr && option->check_lname("help")) continue;
    page.Item(TagOf(*option), option->get_description());
  }
}

// Verbs with verbs of their own show those; the others what they do.
void AddVerbs(const CLI::App& app, const std::string& path, ManPage& page) {
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (verb->get_group().empty()) continue;  // hidden
    const std::string name = StrCat(path, " ", verb->get_name());
    if (!verb->get_subcommands([](const CLI::App*) { return true; }).empty()) {
      AddVerbs(*verb, name, page);
      continue;
    }
    std::string usage = name;
    for (const CLI::Option* option : verb->get_options()) {
      if (option->get_positional() && !option->get_group().empty()) {
        usage += " " + option->get_description();
      }
    }
    page.Subsection(usage);
    page.Paragraph(verb->get_description() + ".");
    AddOptions(*verb, page);
    std::string examples = verb->get_footer();
    if (const size_t end = examples.find("\nGlobal flags:"); end != std::string::npos) {
      examples.resize(end);
    }
    if (const size_t start = examples.find('\n'); start != std::string::npos) {
      page.Example(examples.substr(start + 1));
    }
  }
}

void PrintManual(const CLI::App& app) {
  ManPage page("kvctl", 1, StrCat("Keel ", KEEL_VERSION),
               "the command line for kvd, and for any etcd v3 server");
  page.Section("SYNOPSIS");
  page.Example("kvctl [global flags] COMMAND [flags] [arguments]");
  page.Section("DESCRIPTION");
  page.Paragraph(
      "kvctl has the verbs, flags, formats and exit codes of etcdctl. Global flags may stand "
      "before or behind the command.");
  page.Section("GLOBAL FLAGS");
  AddOptions(app, page);
  page.Section("COMMANDS");
  AddVerbs(app, "kvctl", page);
  page.Section("ENVIRONMENT");
  page.Item("KVCTL_*, ETCDCTL_*",
            "Every global flag, --dial-timeout as KVCTL_DIAL_TIMEOUT or ETCDCTL_DIAL_TIMEOUT. A "
            "flag goes before a variable.");
  page.Section("EXIT STATUS");
  page.Item("0", "Done.");
  page.Item("1", "The server, or a check, said no.");
  page.Item("2", "No server could be asked.");
  page.Item("3", "A transaction or other input makes no sense.");
  page.Item("4", "A flag asks for what there is not.");
  page.Item("5", "Interrupted.");
  page.Item("128", "Arguments are missing or wrong.");
  page.Section("SEE ALSO");
  page.Paragraph("kvd(8)");
  std::cout << page.Text();
}

}  // namespace

void AddManPageVerb(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "man-page", "Prints the manual, kvctl(1), for man", "");
  verb->group("");  // for packages
  verb->callback([&app, &session] {
    session.run = [&app] {
      PrintManual(app);
      return Success();
    };
  });
}

}  // namespace keel::kvctl
