// A manual page in the man(7) macros, written from a program's own tables, so
// that it cannot say anything else than the program does.
//
//   ManPage page("kvd", 8, "Keel 0.1.0", "a member of a replicated key-value store");
//   page.Section("OPTIONS");
//   page.Item("--name NAME", "Name of this member.");
//   std::cout << page.Text();
//
// All arguments are plain UTF-8 text; what troff would take for its own is escaped.
// Thread-safety: none.
#pragma once

#include <string>
#include <string_view>

namespace keel::base {

class ManPage {
 public:
  ManPage(std::string_view name, int section, std::string_view source,
          std::string_view description);

  void Section(std::string_view title);
  void Subsection(std::string_view title);
  void Paragraph(std::string_view text);
  // `tag` in bold, `text` indented behind or under it.
  void Item(std::string_view tag, std::string_view text);
  // Lines as they are.
  void Example(std::string_view text);

  const std::string& Text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace keel::base
