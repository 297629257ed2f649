nice: ‘twins=1’: No such file or directory
