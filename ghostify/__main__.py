from ghostify.cli import main

main()
