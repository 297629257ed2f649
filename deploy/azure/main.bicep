// What sidebus needs of Azure Service Bus: topics that are its partitions, the nodes' subscriptions where they are made
// beforehand, and the rights. README.md beside this file says which of it to use when; tests/azure compares the
// defaults with those of the product.

@description('Name of the namespace, without ".servicebus.windows.net".')
@minLength(6)
@maxLength(50)
param namespaceName string

@description('Make the namespace. Otherwise it exists, in this resource group, and only gets what is below.')
param newNamespace bool = false

@description('Of a new namespace.')
param location string = resourceGroup().location

@description('Of a new namespace. Basic has no topics.')
@allowed(['Standard', 'Premium'])
param sku string = 'Standard'

@description('Messaging units of a new Premium namespace.')
@allowed([1, 2, 4, 8, 16])
param messagingUnits int = 1

@description('topics.prefix of the nodes. The topic of partition p is <prefix>-<p>.')
@minLength(1)
@maxLength(200)
param prefix string = 'sidebus'

@description('topics.partitions of the nodes.')
@minValue(1)
@maxValue(256)
param partitions int = 1

@description('''Subscriptions to make in every topic, one for each node: what `sidebus check --print` shows as
servicebus.subscription. Empty where nodes make their own (manage = true).''')
param subscriptions string[] = []

@description('servicebus.lock_s of the nodes, PT5S to PT10S: what a lost connection delays a message by at most.')
param lockDuration string = 'PT10S'

@description('servicebus.ttl_s of the nodes: how long a message waits for a node that is away.')
param timeToLive string = 'PT1H'

@description('servicebus.max_size_mb of the nodes.')
param maxSizeInMegabytes int = 1024

@description('''Subscriptions that nobody reads for so long are deleted. Empty: never, which is right where nodes may not
make them again; delete those of nodes that are gone, or they fill the topic.''')
param autoDeleteOnIdle string = ''

@description('''Rights of a rule with a shared access key. sendListen: for manage = false. manage: for manage = true.
none: no rule, for nodes with identities; a new namespace then takes no keys at all.''')
@allowed(['none', 'sendListen', 'manage'])
param keyRights string = 'sendListen'

@description('servicebus.key_name of the nodes.')
@minLength(1)
@maxLength(50)
param keyName string = 'sidebus'

@description('''namespace: one rule, which reaches every entity of the namespace. topic: one on each topic, which
reaches nothing else; for sendListen only, and with more than one partition see README.md.''')
@allowed(['namespace', 'topic'])
param keyScope string = 'namespace'

@description('''Object ids of the managed identities of nodes. Each gets Azure Service Bus Data Sender and Data Receiver
on the topics, or Data Owner of the namespace with identitiesManage.''')
param identities string[] = []

@description('The identities belong to nodes with manage = true.')
param identitiesManage bool = false

// By the names that the portal shows: Azure Service Bus Data Owner, Data Receiver, Data Sender.
var owner = '090c5cfd-751d-490a-894a-3ce6f1109419'
var receiver = '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
var sender = '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'

var places = flatten(map(range(0, partitions), p => map(subscriptions, name => { p: p, name: name })))
var grants = flatten(map(
  identitiesManage ? [] : range(0, partitions),
  p => flatten(map(identities, identity => map([receiver, sender], role => { p: p, identity: identity, role: role })))
))

// Manage needs the other two beside it. Making a subscription takes Manage on the namespace.
var rights = keyRights == 'manage' ? ['Listen', 'Manage', 'Send'] : ['Listen', 'Send']
var onTopics = keyRights == 'sendListen' && keyScope == 'topic'

resource newOne 'Microsoft.ServiceBus/namespaces@2024-01-01' = if (newNamespace) {
  name: namespaceName
  location: location
  sku: sku == 'Premium' ? { name: sku, tier: sku, capacity: messagingUnits } : { name: sku, tier: sku }
  properties: union(
    { minimumTlsVersion: '1.2', disableLocalAuth: keyRights == 'none' },
    // A namespace with more has partitioned topics only, which keep no order.
    sku == 'Premium' ? { premiumMessagingPartitions: 1 } : {}
  )
}

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource topics 'Microsoft.ServiceBus/namespaces/topics@2024-01-01' = [
  for p in range(0, partitions): {
    parent: namespace
    name: '${prefix}-${p}'
    properties: {
      defaultMessageTimeToLive: timeToLive
      maxSizeInMegabytes: maxSizeInMegabytes
      requiresDuplicateDetection: false
      enableBatchedOperations: true
      supportOrdering: true
      enablePartitioning: false
    }
    dependsOn: [newOne]
  }
]

resource nodeSubscriptions 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2024-01-01' = [
  for place in places: {
    parent: topics[place.p]
    name: place.name
    properties: union(
      {
        lockDuration: lockDuration
        requiresSession: false
        defaultMessageTimeToLive: timeToLive
        deadLetteringOnMessageExpiration: false
        maxDeliveryCount: 2000
        enableBatchedOperations: true
      },
      empty(autoDeleteOnIdle) ? {} : { autoDeleteOnIdle: autoDeleteOnIdle }
    )
  }
]

resource namespaceRule 'Microsoft.ServiceBus/namespaces/authorizationRules@2024-01-01' = if (keyRights != 'none' && !onTopics) {
  parent: namespace
  name: keyName
  properties: { rights: rights }
  dependsOn: [newOne]
}

resource topicRules 'Microsoft.ServiceBus/namespaces/topics/authorizationRules@2024-01-01' = [
  for p in range(0, partitions): if (onTopics) {
    parent: topics[p]
    name: keyName
    properties: { rights: rights }
  }
]

resource owners 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for identity in (identitiesManage ? identities : []): {
    scope: namespace
    name: guid(namespace.id, identity, owner)
    properties: {
      principalId: identity
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', owner)
    }
    dependsOn: [newOne]
  }
]

resource sendersAndReceivers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    scope: topics[grant.p]
    name: guid(namespace.id, '${prefix}-${grant.p}', grant.identity, grant.role)
    properties: {
      principalId: grant.identity
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
    }
  }
]

@description('servicebus.namespace of the nodes.')
output host string = '${namespaceName}.servicebus.windows.net'

@description('What the nodes read and write.')
output topics string[] = [for p in range(0, partitions): '${prefix}-${p}']
