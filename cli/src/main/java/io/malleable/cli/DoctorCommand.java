package io.malleable.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import java.util.List;

/** {@code m2 doctor}: what is missing here, and what to do about it. */
final class DoctorCommand extends ServerCommand {

  DoctorCommand() {
    super("Checks this machine and the server; exit status 1 when something does not work");
  }

  @Override
  protected void run() {
    List<Finding> findings = new Examination(terminal()).examine(this::api);
    if (wantsJson()) {
      ArrayNode array = api().object().putArray("findings");
      for (Finding finding : findings) {
        array
            .addObject()
            .put("what", finding.what())
            .put("state", finding.state().name())
            .put("detail", finding.detail())
            .put("remedy", finding.remedy());
      }
      printJson(array);
    } else {
      findings.forEach(this::print);
    }
    out().flush();
    long failed = findings.stream().filter(f -> f.state() == Finding.State.failed).count();
    if (failed > 0) {
      throw new CommandFailure(
          failed + (failed == 1 ? " check" : " checks") + " failed, see above", null);
    }
  }

  private void print(Finding finding) {
    out()
        .println(String.format("%-7s %-22s %s", finding.state(), finding.what(), finding.detail()));
    if (!finding.remedy().isEmpty()) {
      out().println(" ".repeat(31) + finding.remedy());
    }
  }
}
