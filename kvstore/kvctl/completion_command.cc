// completion: scripts for shells, from the verbs themselves.
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

using base::StrCat;

// "kvctl member" and what may follow it.
using Words = std::vector<std::pair<std::string, std::vector<std::string>>>;

void Collect(const CLI::App& app, const std::string& path, Words* all) {
  std::vector<std::string> words;
  const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* verb : verbs) {
    if (!verb->get_group().empty()) words.push_back(verb->get_name());  // not hidden
  }
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  all->emplace_back(path, std::move(words));
  for (const CLI::App* verb : verbs) {
    if (!verb->get_group().empty()) Collect(*verb, StrCat(path, " ", verb->get_name()), all);
  }
}

// Walks from word to word as long as the next is a verb of the last.
std::string BashScript(const Words& all) {
  std::string out = "# completion of kvctl for bash\ndeclare -gA _kvctl_words=(\n";
  for (const auto& [path, words] : all) {
    out += StrCat("  [\"", path, "\"]=\"", absl::StrJoin(words, " "), "\"\n");
  }
  return out + R"(
)
_kvctl() {
  local path=kvctl i word
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    [[ $word != -* && " ${_kvctl_words[$path]} " == *" $word "* ]] && path="$path $word"
  done
  local words=${_kvctl_words[$path]}
  [[ ${COMP_WORDS[COMP_CWORD]} == -* ]] && words="$words ${_kvctl_words[kvctl]}"
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _kvctl kvctl
)";
}

std::string ZshScript(const Words& all) {
  return "#compdef kvctl\nautoload -U +X bashcompinit && bashcompinit\n" + BashScript(all);
}

std::string FishScript(const Words& all) {
  std::string out = R"(# completion of kvctl for fish
function __kvctl_at
    set -l words (string match -v -- '-*' (commandline -opc))
    test (string join ' ' -- $words) = "$argv[1]"
end
complete -c kvctl -f
)";
  for (const auto& [path, words] : all) {
    out += StrCat("complete -c kvctl -n '__kvctl_at \"", path, "\"' -a '",
                  absl::StrJoin(words, " "), "'\n");
  }
  return out;
}

}  // namespace

void AddCompletionVerb(CLI::App& app, Session& session) {
  CLI::App* completion = AddVerb(app, "completion", "Prints a script that completes kvctl's verbs",
                                 "  source <(kvctl completion bash)\n"
                                 "  kvctl completion fish > ~/.config/fish/completions/kvctl.fish");
  completion->require_subcommand(1);
  const auto add = [&](const char* shell, std::string (*script)(const Words&)) {
    CLI::App* verb = AddVerb(*completion, shell, StrCat("For ", shell), "");
    verb->callback([&app, &session, script] {
      session.run = [&app, script] {
        Words all;
        Collect(app, "kvctl", &all);
        std::cout << script(all);
        return Success();
      };
    });
  };
  add("bash", BashScript);
  add("zsh", ZshScript);
  add("fish", FishScript);
}

}  // namespace keel::kvctl
