#include "base/man_page.h"

#include "base/strings.h"

namespace keel::base {

namespace {

// A hyphen is a minus sign in what people copy from a page; a line must not begin like a macro.
std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

// As the argument of a macro.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : Escaped(text)) {
    if (c == '"') {
      out += "\\(dq";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

ManPage::ManPage(std::string_view name, int section, std::string_view source,
                 std::string_view description)
    : text_(StrCat(".TH ", Quoted(name), " ", section, " \"\" ", Quoted(source), "\n.SH NAME\n",
                   name, " \\- ", Escaped(description), "\n")) {}

void ManPage::Section(std::string_view title) { text_ += StrCat(".SH ", Quoted(title), "\n"); }

void ManPage::Subsection(std::string_view title) { text_ += StrCat(".SS ", Quoted(title), "\n"); }

void ManPage::Paragraph(std::string_view text) { text_ += StrCat(".PP\n", Escaped(text), "\n"); }

void ManPage::Item(std::string_view tag, std::string_view text) {
  text_ += StrCat(".TP\n.B ", Quoted(tag), "\n", Escaped(text), "\n");
}

void ManPage::Example(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  text_ += StrCat(".PP\n.nf\n.RS\n", Escaped(text), "\n.RE\n.fi\n");
}

}  // namespace keel::base
