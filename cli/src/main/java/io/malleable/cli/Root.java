package io.malleable.cli;

import picocli.CommandLine.Command;

/** The command {@code m2} itself. */
@Command(
    name = "m2",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    synopsisSubcommandLabel = "COMMAND",
    description =
        "Turns a rack of servers into a cloud: they boot copy-on-write drives over the network.",
    footerHeading = "%nEnvironment:%n",
    footer = {
      "  M2_URL         the server (default http://127.0.0.1:8480)",
      "  M2_TOKEN_FILE  a file with the token; M2_TOKEN: the token itself. Without either",
      "                 the admin token of this user's own server is used.",
      "  M2_PROJECT     the project to act in (default \"default\")",
      "  M2_DATA        the data directory of this user's own server",
      "",
      "Exit status: 0 done, 1 failed, 2 not understood. Each command has --help."
    })
record Root(Terminal terminal) {}
