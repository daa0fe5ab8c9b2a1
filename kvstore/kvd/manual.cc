#include "kvstore/kvd/manual.h"

#include "base/man_page.h"
#include "base/strings.h"
#include "kvstore/kvd/flags.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

void AddFlags(FlagEffect effect, base::ManPage& page) {
  std::string_view group;
  for (const FlagSpec& flag : AllFlags()) {
    if (flag.effect != effect) continue;
    if (effect == FlagEffect::kUsed && flag.group != group) {
      group = flag.group;
      page.Subsection(group);
    }
    page.Item(flag.default_value.empty() ? StrCat("--", flag.name)
                                         : StrCat("--", flag.name, " '", flag.default_value, "'"),
              flag.help);
  }
}

}  // namespace

std::string Manual(std::string_view version) {
  base::ManPage page("kvd", 8, StrCat("Keel ", version),
                     "a member of a replicated key-value store that speaks etcd's v3 API");
  page.Section("SYNOPSIS");
  page.Example("kvd [flags]\nkvd --version\nkvd --help");
  page.Section("DESCRIPTION");
  page.Paragraph(
      "kvd keeps keys and their history, and replicates them among the members of a cluster by "
      "Raft. Every client of etcd works with it: etcdctl, the libraries of every language, and "
      "kvctl(1).");
  page.Paragraph(
      "Flags are etcd's, written -name x, --name x or --name=x; a boolean alone is true and takes "
      "another value only after '='. A value shown behind a flag is its default.");
  page.Section("OPTIONS");
  AddFlags(FlagEffect::kUsed, page);
  page.Subsection("Accepted without effect");
  page.Paragraph("A line in the log says so.");
  AddFlags(FlagEffect::kNone, page);
  page.Subsection("Refused");
  page.Paragraph("Any value but the default stops kvd: to ignore these would be unsafe.");
  AddFlags(FlagEffect::kRefused, page);

  page.Section("ENVIRONMENT");
  page.Item("ETCD_*",
            "Every flag can be given as a variable: --max-txn-ops is ETCD_MAX_TXN_OPS. A flag wins "
            "over its variable; with --config-file neither counts.");
  page.Item("NOTIFY_SOCKET",
            "Set by systemd: where kvd says that it serves (READY=1) and that it stops "
            "(STOPPING=1).");
  page.Section("FILES");
  page.Item("/etc/default/kvd", "Variables for the systemd service.");
  page.Item("/var/lib/kvd", "What the member of the systemd service keeps.");
  page.Section("SIGNALS");
  page.Item("SIGTERM, SIGINT",
            "Hands leadership over, lets requests in progress end, and stops. A second one stops "
            "at once.");
  page.Section("EXIT STATUS");
  page.Item("0", "After SIGTERM or SIGINT.");
  page.Item("1", "kvd cannot start or go on; the last line of the log says why.");
  page.Item("2", "The flags make no sense.");
  page.Section("EXAMPLES");
  page.Paragraph("One member, on loopback:");
  page.Example("kvd --data-dir /tmp/one");
  page.Paragraph("One of three; the others alike, each with its own name and URLs:");
  page.Example(R"(kvd --name a --data-dir /var/lib/kvd \
    --listen-client-urls http://10.0.0.1:2379 \
    --advertise-client-urls http://10.0.0.1:2379 \
    --listen-peer-urls http://10.0.0.1:2380 \
    --initial-advertise-peer-urls http://10.0.0.1:2380 \
    --initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380)");
  page.Section("SEE ALSO");
  page.Paragraph("kvctl(1), systemd.service(5)");
  return page.Text();
}

}  // namespace keel::kvstore
