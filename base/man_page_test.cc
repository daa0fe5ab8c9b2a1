#include "base/man_page.h"

#include <gtest/gtest.h>

namespace keel::base {
namespace {

TEST(ManPageTest, EscapesWhatTroffWouldTakeForItsOwn) {
  ManPage page("x", 1, "Keel", "a thing");
  page.Section("OPTIONS");
  page.Item("--flag \"v\"", "back\\slash\n.TH not a macro\n'nor this");
  EXPECT_EQ(page.Text(), R"(.TH "x" 1 "" "Keel"
.SH NAME
x \- a thing
.SH "OPTIONS"
.TP
.B "\-\-flag \(dqv\(dq"
back\eslash
\&.TH not a macro
\&'nor this
)");
}

TEST(ManPageTest, AnExampleKeepsItsLines) {
  ManPage page("x", 1, "Keel", "a thing");
  page.Example("  a\n.b\n\n");
  EXPECT_TRUE(page.Text().ends_with(".nf\n.RS\n  a\n\\&.b\n.RE\n.fi\n")) << page.Text();
}

}  // namespace
}  // namespace keel::base
