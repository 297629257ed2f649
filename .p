nice: ‘nodes=4’: No such file or directory
